"""What leaves the host: deploy, bundles, mirrors, Yocto layers."""
