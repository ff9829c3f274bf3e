"""The channel e-mail: media filled per person, handed over to an SMTP relay."""
