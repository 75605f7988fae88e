"""The toll: what calls may spend and how fast they may come, and the counting of both."""
