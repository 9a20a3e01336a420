"""How often the verifier errs: a generated corpus of pairs whose truth is known by construction."""
