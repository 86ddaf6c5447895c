"""Independent Kubernetes clusters find each other, agree to share, and show each other as one more node."""
