// Runs before the first paint, as a classic script, so that the chosen theme never flashes.
(() => {
  /** @param {string} key @param {string} fallback */
  const stored = (key, fallback) => {
    try {
      return localStorage.getItem(key) ?? fallback;
    } catch {
      return fallback; // storage may be forbidden; the page works without it
    }
  };
  const root = document.documentElement;
  const theme = stored('theme', 'system');
  const dark = theme === 'dark' || (theme === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
  root.dataset['theme'] = dark ? 'dark' : 'light';
  root.dataset['updown'] = stored('updown', 'green-up');
})();
