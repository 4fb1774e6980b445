#!/bin/sh
# A Chromium for the end-to-end tests: Debian's without windows, which opens pages in half the time;
# else a Chrome or Chromium that is installed, else Playwright's own. $1 is the playwright command.
set -eu
command -v chromium-headless-shell > /dev/null && exit 0
if command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
  echo "Installing Debian's Chromium (once) …"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium-headless-shell fonts-noto-cjk > /dev/null && exit 0
fi
for name in google-chrome google-chrome-stable chromium chromium-browser; do
  command -v "$name" > /dev/null && exit 0
done
for folder in "$HOME/.cache/ms-playwright"/chromium*; do
  [ -d "$folder" ] && exit 0
done
echo "Installing Playwright's Chromium (once) …"
"$1" install --only-shell chromium
