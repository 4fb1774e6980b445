#!/bin/sh
# A Chrome or Chromium for the end-to-end tests: one that is installed, else Debian's, else Playwright's own.
# $1 is the playwright command.
set -eu
for name in google-chrome google-chrome-stable chromium chromium-browser; do
  command -v "$name" > /dev/null && exit 0
done
for folder in "$HOME/.cache/ms-playwright"/chromium-*; do
  [ -d "$folder" ] && exit 0
done
if command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
  echo "Installing Debian's Chromium (once) …"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk > /dev/null && exit 0
fi
echo "Installing Playwright's Chromium (once) …"
"$1" install chromium
