"""What `regarena show columns` prints: every column of the files with trials and of those with curves."""

from __future__ import annotations

from harness.records import CURVE_TABLE, SCHEMA_VERSION, TRIAL_TABLE

NAME = "columns"
Described = dict[str, str | int]


def described_columns() -> list[Described]:
    """A record for each column, in the order of the files: its table, name, type, unit, allowed values and meaning."""
    return [
        {
            "column": column.name,
            "table": table,
            "group": column.group,
            "type": column.type_name,
            "unit": column.unit,
            "allowed": column.bounds,
            "since": column.since,
            "meaning": column.meaning,
        }
        for table, columns in (("trials", TRIAL_TABLE), ("curves", CURVE_TABLE))
        for column in columns
    ]


def columns_card() -> str:
    """The columns as text: a heading for each group, and below it a line for each column."""
    described = described_columns()
    width = max(len(str(each["column"])) for each in described)
    kinds = max(len(_kind(each)) for each in described)
    lines = [
        f"columns: those of trials/*.parquet and curves/*.parquet (schema version {SCHEMA_VERSION}); any may be null"
    ]
    for place, each in enumerate(described):
        if place == 0 or each["group"] != described[place - 1]["group"]:
            lines += ["", f"{each['group']} ({each['table']})"]
        note = f" [{each['allowed']}]" if each["allowed"] else ""
        later = f" (since version {each['since']})" if each["since"] != 1 else ""
        lines.append(f"  {each['column']:<{width}}  {_kind(each):<{kinds}}  {each['meaning']}{note}{later}")
    return "\n".join(lines)


def _kind(described: Described) -> str:
    """Type and unit."""
    return f"{described['type']}, {described['unit']}" if described["unit"] else str(described["type"])
