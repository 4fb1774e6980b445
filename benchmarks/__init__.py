"""How fast a backtest runs, beside backtesting.py and vectorbt. Run `python -m benchmarks.run`."""
