"""The workbook's app on servers: on this machine from start to finish, or what to start on several."""

from workbook_tools.flower.deploy_run import deploy_app

__all__ = ["deploy_app"]
