"""The only folder that knows the database: state and both logs in one, case keys in another."""
