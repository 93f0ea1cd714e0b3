"""A product knowledge graph distilled from a language model, and the recommender that reads it."""
