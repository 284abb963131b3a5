# ruff: noqa: PTH107, PTH123, SIM112 - plain Python of any age, and glog knows this spelling only
"""Run in pycaffe's own interpreter: load each net for a phase, save it, write it again without blobs.

Usage: pycaffe_oracle.py save PHASE IN OUT [IN OUT]...  |  types

Each net is saved in a child of its own, since Caffe aborts the process on a net that it refuses; then there is no OUT.
"""

import os
import sys

os.environ["GLOG_minloglevel"] = "2"

import caffe
from caffe.proto import caffe_pb2


def save(phase, source, target):
    whole = target + ".full"
    caffe.Net(source, getattr(caffe, phase)).save(whole)
    with open(whole, "rb") as file:
        net = caffe_pb2.NetParameter.FromString(file.read())
    os.remove(whole)
    for layer in net.layer:
        del layer.blobs[:]
    with open(target, "wb") as file:
        file.write(net.SerializeToString())


if sys.argv[1] == "types":
    print("\n".join(caffe.layer_type_list()))
else:
    for source, target in zip(sys.argv[3::2], sys.argv[4::2]):  # noqa: B905 - pycaffe's Python may be 3.9
        child = os.fork()
        if child == 0:
            save(sys.argv[2], source, target)
            os._exit(0)
        os.waitpid(child, 0)
