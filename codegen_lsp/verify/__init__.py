"""Whether generated code does what was asked: examples, sandbox, judgement."""
