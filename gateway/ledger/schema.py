"""The SQLite ledger's tables, by version. A published migration is never edited: the next one is appended."""

from __future__ import annotations

import sqlite3

# What could name a patient is sealed (BLOB) or a keyed hash; readable are only words of the gateway's and its accounts.
_FIRST = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE commands (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        client TEXT NOT NULL,
        emr TEXT NOT NULL,
        tenant TEXT NOT NULL,
        operation TEXT NOT NULL,
        state TEXT NOT NULL,
        settled INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        key TEXT,
        fingerprint TEXT,
        payload BLOB NOT NULL,
        answer BLOB
    )
    """,
    "CREATE UNIQUE INDEX commands_by_key ON commands (client, key) WHERE key IS NOT NULL",
    "CREATE INDEX commands_by_client ON commands (client, created_at)",
    "CREATE INDEX commands_by_age ON commands (settled, updated_at)",
    """
    CREATE TABLE steps (
        command INTEGER NOT NULL REFERENCES commands (number) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        state TEXT NOT NULL,
        action BLOB NOT NULL,
        payload BLOB NOT NULL,
        attempted_at INTEGER,
        PRIMARY KEY (command, position)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE command_appointments (
        command INTEGER NOT NULL REFERENCES commands (number) ON DELETE CASCADE,
        appointment TEXT NOT NULL,
        PRIMARY KEY (command, appointment)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX commands_by_appointment ON command_appointments (appointment)",
    """
    CREATE TABLE lineage (
        old TEXT PRIMARY KEY,
        new TEXT NOT NULL UNIQUE,
        old_id BLOB NOT NULL,
        new_id BLOB NOT NULL
    ) WITHOUT ROWID
    """,
)

_REPAIR = (
    "ALTER TABLE commands ADD COLUMN repairing_since INTEGER",
    "ALTER TABLE commands ADD COLUMN remarks BLOB NOT NULL DEFAULT x''",
    "UPDATE commands SET repairing_since = updated_at WHERE state = 'repairing'",
)

# Entries are sealed; `touched` holds keyed hashes and words of the gateway's.
_AUDIT = (
    "ALTER TABLE commands ADD COLUMN request_id TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE commands ADD COLUMN touched TEXT NOT NULL DEFAULT ''",
    "CREATE TABLE audit (number INTEGER PRIMARY KEY, entry BLOB NOT NULL, mac BLOB NOT NULL)",
    "CREATE TABLE audit_ends (name TEXT PRIMARY KEY, number INTEGER NOT NULL, mac BLOB NOT NULL, seal BLOB NOT NULL)",
    """
    CREATE TRIGGER audit_is_never_altered BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
    """
    CREATE TRIGGER audit_is_forgotten_from_its_anchor_on BEFORE DELETE ON audit
    WHEN OLD.number > (SELECT number FROM audit_ends WHERE name = 'anchor')
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
)

_CREDENTIAL = ("ALTER TABLE commands ADD COLUMN credential BLOB NOT NULL DEFAULT x''",)

_RENAMED = (
    "ALTER TABLE lineage ADD COLUMN recorded_at INTEGER NOT NULL DEFAULT 0",
    "UPDATE lineage SET recorded_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000000",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _REPAIR, _AUDIT, _CREDENTIAL, _RENAMED)
AUDITED = MIGRATIONS.index(_AUDIT) + 1
"""The version that has the audit first."""


class NewerSchema(Exception):
    """The ledger was written by a newer gateway than this one."""


def version(db: sqlite3.Connection) -> int:
    """Of the tables that are there (0: none). Raises NewerSchema."""
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    if found > len(MIGRATIONS):
        raise NewerSchema(
            f"The ledger has schema {found}; this gateway knows up to {len(MIGRATIONS)}. Start a newer gateway."
        )
    return found


def migrate(db: sqlite3.Connection) -> int:
    """Bring the tables up to date, inside the caller's transaction. → the version that was found (0: a new file).

    Raises NewerSchema.
    """
    found = version(db)
    for statements in MIGRATIONS[found:]:
        for statement in statements:
            db.execute(statement)
    if found < len(MIGRATIONS):
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    return found


def begins_audit(found: int) -> bool:
    """Has migrating from that version made the audit's tables?"""
    return found < AUDITED <= len(MIGRATIONS)
