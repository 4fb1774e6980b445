"""A process that asks an LLM: `llm_kill_target.py DATABASE LLM_URL`. It says when it is asking."""

import sys
from pathlib import Path

from llm_inputs import LlmDesk, account_info, database_at, market, portfolio

if __name__ == "__main__":
    desk = LlmDesk(database_at(Path(sys.argv[1])), sys.argv[2])
    trader = desk.trader(daily_calls=1)
    sys.stdout.write("asking\n")
    sys.stdout.flush()
    trader.make_decision(market(), portfolio(), account_info())
