"""Transfers (转单): how a parcel, or a part of one, comes into other hands. Each change of holder leaves a record.

Agreed transfers are requested, accepted and reviewed; those that follow from a financing, a judgment or a recourse
payment are written as done by whoever carries them out. The debtor is notified of each (Civil Code art. 546).
"""
