DROP TABLE manager_alerts;
DROP TABLE client_alerts;
