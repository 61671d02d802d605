"""Our own exercises: idioms as data (*.toml), each executed against its asserts before it may be trained on."""
