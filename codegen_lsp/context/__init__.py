"""What the cursor asks for, and what the model is shown of the file."""
