"""The paper's method section as Prefect flows."""
