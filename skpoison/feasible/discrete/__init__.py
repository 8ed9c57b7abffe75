"""The rows of a domain that a filter keeps, where features are not just intervals."""
