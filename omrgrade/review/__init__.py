"""The review: a web page on this computer on which a person settles what the machine was not sure of.

`desk` knows what there is to settle and keeps what is decided (if `checks` lets it pass), `byhand` reads a
page again, `pictures` cuts out what is shown, `wire` puts it as JSON, `server` is the web page's other end
(the only place that imports Flask), `serve` runs it.
"""
