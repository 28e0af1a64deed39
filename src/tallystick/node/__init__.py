"""One running member: settings, composition root, engine supervision, outbox, due jobs, key store."""
