"""DeepSpeed, without what a start of it would load and nothing here uses."""

import sys

__all__ = ["deepspeed"]

# Its autotuner would load MLflow where that is installed, 1.4 s; None makes it look as if it were
# not. Whoever has loaded it before, or wants it later, has it.
if "mlflow" in sys.modules:
    import deepspeed
else:
    sys.modules["mlflow"] = None  # type: ignore[assignment]
    try:
        import deepspeed
    finally:
        del sys.modules["mlflow"]

# DeepSpeed would compile a shared-memory all-reduce with g++ on its first start (90 s, and a bare
# machine has no compiler). gloo does the same work, and no other op of DeepSpeed is used here.
deepspeed.ops.__compatible_ops__ = {}
# Where ZeRO looks whether its optimizer is Muon, it would load torch's compiler for it: 5 s.
deepspeed.runtime.compiler.compile = lambda: deepspeed.runtime.compiler.dummy_decorator
deepspeed.utils.logger.setLevel("WARNING")
