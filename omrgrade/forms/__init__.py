"""Forms that exist already: a template from a blank form, or from another program's description of it."""
