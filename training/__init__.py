"""The machine learning: no Prefect, no S3, no Great Expectations in here."""
