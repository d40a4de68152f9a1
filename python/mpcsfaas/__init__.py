"""MPCSFaaS for Python: the client that users import, and the runtime that workers start.

Every warm process imports this package, so nothing heavy may be imported here at module level.
"""

__version__ = "0.1.0"
