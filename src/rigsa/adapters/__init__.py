"""Adapters as PEFT methods. Importing this package registers them as soon as PEFT is imported."""
