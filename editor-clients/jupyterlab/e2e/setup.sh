#!/bin/sh
# A real JupyterLab into .venv here, and what drives it into node_modules: about a minute, 400 MB. Needs Python 3.11 or
# later, Node 20 or later with npm, and Chromium to be driven. The tests install the extension themselves, as it is then.
set -e
cd "$(dirname "$0")"
"${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet jupyterlab==4.6.6 ipykernel==7.4.0 'hatchling>=1.25'
npm install --no-audit --no-fund --no-package-lock
