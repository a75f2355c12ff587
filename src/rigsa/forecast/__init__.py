"""What a study will take, before anything is launched: hours, memory and disk of every job."""
