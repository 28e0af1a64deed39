"""What several tests share: builders in the trade's terms and one fake per port."""
