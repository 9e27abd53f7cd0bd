"""The CDK's standard suite for images. It calls `docker run`, which is ../stand-in/docker here."""

import pytest
from airbyte_cdk.test.standard_tests.docker_base import DockerConnectorTestSuite


class TestImage(DockerConnectorTestSuite):
    """Every test of `DockerConnectorTestSuite`, but for the one that needs an earlier version in Airbyte's registry."""

    @pytest.mark.skip("no version of it is in Airbyte's registry")
    def test_docker_image_spec_backward_compatibility(self):
        """Would compare the spec with the published one."""
