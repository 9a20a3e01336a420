"""Problems: where they come from, which are verifiable, how hard they are, which are selected."""
