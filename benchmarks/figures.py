"""What one subject makes of one history, printed as JSON: `python figures.py SUBJECT PRICES RULES`.

Started as a script in the subject's own environment, like `measure.py`.
"""

from __future__ import annotations

import importlib
import json
import sys

import numpy as np

if __name__ == "__main__":
    subject_name, prices_path, rules = sys.argv[1:]
    subject = importlib.import_module(subject_name)
    figures = subject.figures(np.load(prices_path), json.loads(rules))
    print(json.dumps({"versions": subject.versions(), "figures": figures}))
