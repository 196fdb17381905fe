"""The edge: each package here joins one technology to the ports of the application, and knows no other adapter."""
