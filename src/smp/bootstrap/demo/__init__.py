"""The demonstration: a believable set of data, told through the domain's own verbs at past instants."""
