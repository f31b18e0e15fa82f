"""Networks whose latency on the Edge TPU somebody has published, written anew layer by layer.

Their weights are random: a latency does not depend on them.
"""

from published import (
    densenet,
    efficientdet,
    efficientnet,
    inception,
    inception_large,
    mobilenet,
    resnet,
    segmentation,
    squeezenet,
    ssd,
    ssd_fpn,
    vgg,
)
from published.network import Network

NETWORKS: dict[str, Network] = {
    **mobilenet.NETWORKS,
    **vgg.NETWORKS,
    **resnet.NETWORKS,
    **inception.NETWORKS,
    **inception_large.NETWORKS,
    **efficientnet.NETWORKS,
    **densenet.NETWORKS,
    **squeezenet.NETWORKS,
    **ssd.NETWORKS,
    **ssd_fpn.NETWORKS,
    **efficientdet.NETWORKS,
    **segmentation.NETWORKS,
}
