"""Delivery: deploy, bundles, mirrors, Yocto layers, LAVA jobs."""
