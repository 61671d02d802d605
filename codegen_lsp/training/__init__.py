"""The recipe of the bundled model: corpus, exercises, tokenizer, FIM, pre-training, evaluation, export."""
