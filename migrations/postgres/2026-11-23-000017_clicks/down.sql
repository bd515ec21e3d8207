DROP TABLE link_statistics;
DROP TABLE referrals;
DROP TABLE visitor_keys;
DROP TABLE link_visitors;
DROP TABLE clicks;
