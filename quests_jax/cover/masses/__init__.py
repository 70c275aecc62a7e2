"""The mass of every structure at every environment, and where masses are stored."""
