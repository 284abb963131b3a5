"""Arm NN 19.02 acted out without running it: what its parsers build of a model, and where they or the runtime stop.

`network` holds the layers, `arithmetic` what C++ makes of numbers, `optimizer` and `workloads` the checks that follow
parsing; one module a parser builds the network in the parser's own order. The first :class:`network.Stop` is the
board's answer, so nothing here collects faults: the lint's tables do that.
"""
