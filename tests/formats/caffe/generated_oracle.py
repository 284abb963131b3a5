# ruff: noqa: PTH118, PTH123, PTH208, SIM112 - plain Python of any age, and glog knows this spelling only
"""Run in pycaffe's own interpreter: random weights for each net, in several forms, and what Caffe saves of them.

Usage: generated_oracle.py FOLDER

For each FOLDER/N.prototxt: N.whole (Caffe's own file, blobs with shapes), N.legacy (four numbers a blob) and, for both,
N.whole.saved and N.legacy.saved. Each net is handled in a child, since Caffe aborts on a net that it refuses; then
there are no files.
"""

import os
import sys

os.environ["GLOG_minloglevel"] = "3"

import caffe
import numpy as np
from caffe.proto import caffe_pb2


def handle(base):
    net = caffe.Net(base + ".prototxt", caffe.TEST)
    dice = np.random.RandomState(1)
    for layer in net.layers:  # not by name: pycaffe's Python cannot hold one that is no UTF-8
        for blob in layer.blobs:
            blob.data[...] = dice.rand(*blob.data.shape)
    net.save(base + ".whole")
    caffe.Net(base + ".prototxt", base + ".whole", caffe.TEST).save(base + ".whole.saved")
    with open(base + ".whole", "rb") as file:
        model = caffe_pb2.NetParameter.FromString(file.read())
    for layer in model.layer:
        for blob in layer.blobs:
            dims = list(blob.shape.dim)
            if len(dims) > 4:
                return
            blob.ClearField("shape")
            dims = [1] * (4 - len(dims)) + dims
            blob.num, blob.channels, blob.height, blob.width = dims
    with open(base + ".legacy", "wb") as file:
        file.write(model.SerializeToString())
    caffe.Net(base + ".prototxt", base + ".legacy", caffe.TEST).save(base + ".legacy.saved")


for name in sorted(os.listdir(sys.argv[1])):
    if name.endswith(".prototxt"):
        child = os.fork()
        if child == 0:
            handle(os.path.join(sys.argv[1], name[: -len(".prototxt")]))
            os._exit(0)
        os.waitpid(child, 0)
