"""The check of what new migrations take away from the version before."""

import pytest

from automations.migrations import Migration
from tests.migrations_expand import problems


def told(sql: str) -> list[str]:
    return list(problems(Migration("automations", 15, "new", sql)))


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("ALTER TABLE automations.action DROP COLUMN name;", "ban-drop-column"),
        ("ALTER TABLE automations.action RENAME COLUMN name TO title;", "renaming-column"),
        ("ALTER TABLE automations.action RENAME TO deed;", "renaming-table"),
        ("DROP TABLE automations.attempt;", "ban-drop-table"),
        ("DROP VIEW automations.automation_step;", "ban-drop-view"),
        ("DROP FUNCTION automations.new_id();", "ban-drop-function"),
        ("ALTER TABLE automations.action ADD COLUMN colour text NOT NULL;", "adding-required-field"),
        ("ALTER TABLE automations.action ALTER COLUMN name SET NOT NULL;", "adding-not-nullable-field"),
        ("ALTER TABLE automations.attempt ALTER COLUMN number TYPE bigint;", "changing-column-type"),
    ],
)
def test_what_takes_away_is_told_unless_it_says_from_whom(sql: str, rule: str) -> None:
    assert [line for line in told(sql) if rule in line]
    assert told(f"-- Nobody has used it since.\n-- contracts: 14\n{sql}") == []


def test_what_adds_is_fine() -> None:
    assert (
        told(
            "CREATE TABLE automations.thing (tenant_id uuid NOT NULL, id uuid PRIMARY KEY, count integer NOT NULL);"
            "ALTER TABLE automations.action ADD COLUMN colour text, ADD COLUMN is_loud boolean NOT NULL DEFAULT false;"
            "CREATE INDEX action_colour ON automations.action (colour);"
            "CREATE OR REPLACE VIEW automations.thing_view AS SELECT * FROM automations.thing;"
        )
        == []
    )


def test_contraction_asks_for_programs_that_there_are() -> None:
    [problem] = told("-- contracts: 15\nDROP TABLE automations.attempt;")
    assert "that came later" in problem
