"""Whether texts are plain: sentences by rule, documents by formula."""
