"""`jpegrt bench`: how long restoring takes, beside a plain decode of the same bytes.

`benchmark.run` measures what a `plan.Plan` asks for, and returns the report that `jpegrt bench
--json` writes; `report_html` and `report_markdown` draw any such report. Everything that is timed is
a `rounds.Contender`, and all of them take turns.
"""
