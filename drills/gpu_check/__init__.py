"""`make gpu-check`: does what is built here work on this machine's GPUs? Twenty minutes at most.

Each part measures in processes of its own, so that a crash or a full GPU costs one part and not the
others. Without a GPU the same parts run on the CPU as far as they can, and the rest says why not.
"""
