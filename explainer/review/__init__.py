"""The sheet on which a translation is reviewed and signed: every text, and where it stands."""
