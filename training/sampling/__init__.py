"""One job for whoever asks a policy many questions: prompts in, responses and verdicts out."""
