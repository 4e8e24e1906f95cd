"""The vendors' fakes as EMRs that a gateway dies before: what stands in each, told without any word of the plugin's."""
