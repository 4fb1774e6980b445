#!/bin/sh
# A redis-server for the tests of the hot cache: one that is installed, else Debian's. Without one those tests skip.
set -eu
command -v redis-server > /dev/null && exit 0
if command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
  echo "Installing Debian's Redis (once) …"
  # Debian starts what it installs, and a server of its own is not wanted here.
  apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends redis-server > /dev/null && exit 0
fi
echo "There is no redis-server and none can be installed: the tests against Redis will be skipped."
